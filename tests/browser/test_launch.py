"""`munkey app`, as a person starts and ends it."""

from playwright.sync_api import expect

from tests.browser.visit import at_rest
from tests.servers import serving
from tests.waiting import until


def test_it_opens_the_default_bundle_from_any_folder_and_ends_when_it_is_told_to(page, tmp_path):
    # A stranger's `app` in the current folder must not be taken for ours.
    (tmp_path / "app.py").write_text("raise SystemExit('not this one')")
    # As README's first command, on a machine that has never seen Streamlit: nothing is asked first.
    command = ("-m", "munkey_core.cli", "app")
    fresh = {"HOME": str(tmp_path), "BROWSER": "true"}
    env = {"MUNKEY_BUNDLES": "", "MUNKEY_BUNDLE": "", **fresh}
    with serving(*command, cwd=tmp_path, env=env) as server:
        page.goto(server.url)
        page.get_by_role("option").nth(10).wait_for()
        expect(page.get_by_text("10,000 of 10,000 keys in memory")).to_be_visible()
        at_rest(page)
        assert page.get_by_text("Deploy").count() == 0
    until(lambda: not server.answers())
