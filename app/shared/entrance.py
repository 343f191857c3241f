"""The way into a run: what the link says, then the lesson's step, then the model."""

from app.lessons import course
from app.session import services
from app.session.services import Session


def enter(page: str) -> Session:
    """The session's model, as the URL, the lesson or the person wants it. page: its URL path.

    Raises MunkeyError if it can't be opened, after putting the choice back so that the next run
    works; BundleChangedError if it is another version by now than the one this session shows.
    """
    news = services.listen(page)
    return services.open_model(news, turned=course.enter(page, news))
