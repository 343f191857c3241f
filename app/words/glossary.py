"""The words of the field, each explained once: shown on hover and focus, and listed on *About*.

A page writes ``term("key")`` where the word stands in its Markdown, or ``html("key")`` in its HTML.
Both give a link to ``#term-key``, which a keyboard reaches; ``components/term_tips`` shows the
sentence beside it. Help texts of widgets take :func:`plain`. Nowhere else is a term explained.
"""

from dataclasses import dataclass
from html import escape

_METHOD = "tutorials/METHOD.md, section {}"


@dataclass(frozen=True)
class Term:
    """name: as a list writes it. plain: one sentence for people, as plain text. field: what the
    field calls it where that is another name. where: where it is defined; measures and attacks are
    in section 3."""

    name: str
    plain: str
    where: str = _METHOD.format(3)
    field: str = ""


_MUNKEY = f"{_METHOD.format(2)}; Laguna et al. 2026"

_MEMORY = {
    "key": Term(
        "Key",
        "How one training image looks to the model, as a fixed row of numbers: by it the image is "
        "found in the memory, and without it the image is forgotten.",
        _MUNKEY,
    ),
    "exemplar-token": Term(
        "Exemplar token",
        "What the model has learned to keep about one training image: it lies beside the image's "
        "key and is read whenever that key is found.",
        _MUNKEY,
    ),
    "memory-bank": Term(
        "Memory",
        "All keys with their exemplar tokens, one pair for each training image; the pictures "
        "themselves are not in it.",
        _MUNKEY,
        "memory bank",
    ),
    "shared-weights": Term(
        "Shared weights",
        "The network itself, which works for all images alike; deleting a key leaves it as it is.",
        _MUNKEY,
        "backbone",
    ),
    "null-anchor": Term(
        "Image alone, ∅",
        "The model's own view of the picture, without any memory; it takes part in every answer "
        "and decides where no memory is similar enough.",
        _MUNKEY.replace("Laguna et al. 2026", "ours"),
        "null anchor",
    ),
    "joint": Term(
        "Joint mode",
        "The network and the memory were trained together, so a little of an image may stay in the "
        "shared weights when its key is gone.",
        _MUNKEY,
    ),
    "exact": Term(
        "Exact mode",
        "The network was trained on public images only and each image was written into the memory "
        "alone, so deleting it leaves no trace.",
        _METHOD.format(7),
    ),
    "memorisation": Term(
        "By heart",
        "How many percentage points surer the model is of an image's true class with the image's "
        "own key than without it.",
        field="memorisation",
    ),
    "near-copy": Term(
        "Near-copy",
        "An image whose key is closer to another one's than 99 in 100 unrelated public images are "
        "to each other; it goes on answering when its twin is gone.",
        _METHOD.format(4),
        "near-duplicate",
    ),
    "owner": Term(
        "Owner",
        "The person an image belongs to; where the data name nobody, owners are made up "
        "(simulated), so that forgetting a person can be tried.",
        _METHOD.format(5),
    ),
    "umap": Term(
        "UMAP",
        "A way to lay out many-dimensional points on a plane that keeps neighbours together and "
        "bends everything else: distances between groups mean nothing.",
        "McInnes et al. 2018",
    ),
    "pca": Term(
        "PCA",
        "The flat shadow of many-dimensional points, in the direction in which they spread most; "
        "quickly made, with unlike points on top of each other.",
        "Pearson 1901",
        "principal component analysis",
    ),
}
_FORGETTING = {
    "forget-set": Term(
        "Forget set", "The training images that are to be forgotten.", _METHOD.format(1)
    ),
    "retain-set": Term("Retain set", "All other training images, which stay.", _METHOD.format(1)),
    "test-images": Term(
        "Test images",
        "Images of the same kind that no model learned from: they show what a model does with "
        "something new.",
        _METHOD.format(1),
    ),
    "oracle": Term(
        "Retrained model, retrained twin",
        "A model trained again from the start without the forget set, by the same recipe: what "
        "forgetting should end up like.",
        _METHOD.format(1),
        "oracle",
    ),
    "plain-transformer": Term(
        "Plain transformer",
        "The same network without a memory: what it knows of an image can only lie in its weights.",
        _METHOD.format(5),
    ),
    "by-design": Term(
        "By design",
        "A method built so that forgetting is taking something out: keys, entries, examples.",
        _METHOD.format(5),
    ),
    "post-hoc": Term(
        "Repaired afterwards",
        "A method that goes on training a finished model until it seems to have forgotten.",
        _METHOD.format(5),
        "post-hoc unlearning",
    ),
    "ta": Term(
        "TA",
        "How many of 100 test images the model puts into the right class.",
        field="test accuracy",
    ),
    "ra": Term(
        "RA",
        "How many of 100 training images that stay the model puts into the right class.",
        field="retain accuracy",
    ),
    "fa": Term(
        "FA",
        "How many of 100 forgotten images the model puts into the right class; the goal is what "
        "the retrained model gets, not 0.",
        field="forget accuracy",
    ),
    "avg-gap": Term(
        "Avg Gap",
        "How far a model is from its retrained twin: the mean of the four absolute differences in "
        "TA, RA, FA and MIA, in percentage points.",
    ),
    "null-band": Term(
        "Null band",
        "By how much models differ that were all retrained honestly, only from other seeds; "
        "its end is the largest of a few gaps, so being inside it proves no likeness.",
    ),
    "agreement": Term(
        "Agrees",
        "How many of 100 forgotten images the model and its retrained twin put into the same "
        "class.",
        field="agreement",
    ),
    "kl": Term(
        "KL",
        "How far the model's probabilities are from those of its retrained twin, on average over "
        "images, in nats: 0 means the same.",
        field="Kullback-Leibler divergence",
    ),
    "fqs": Term(
        "FQS",
        "How hard it is to tell a model from its retrained twin by single answers: 1 means "
        "impossible; its null is what two models get whose answers are swapped at random.",
        f"{_METHOD.format(3)}; Unlearning Comparator",
        "forgetting-quality score",
    ),
    "backbone-leak": Term(
        "Backbone leak",
        "What of an image stays in the shared weights: how much more often the network alone, "
        "without its memory, is right on the images it learned than on images it never saw.",
        f"{_METHOD.format(3)}; ours",
    ),
    "interval": Term(
        "95 % interval",
        "Where a figure may well lie, had other images of the same kind been drawn: a procedure "
        "that holds the true value 95 times in 100.",
        field="bootstrap confidence interval",
    ),
    "seed": Term(
        "Seed",
        "The number that fixes all chance in a training; models from other seeds differ a little "
        "though nothing else was changed.",
    ),
}
_ATTACKS = {
    "membership-inference": Term(
        "MIA",
        "To guess, from what a model says about an image, whether the model was trained on it.",
        f"{_METHOD.format(3)}; Shokri et al. 2017",
        "membership inference attack",
    ),
    "exposure": Term(
        "Exposure",
        "How clearly an image gives itself away to the attack: the larger the score, the surer the "
        "attacker that it was trained on.",
    ),
    "roc": Term(
        "ROC",
        "For each number of false alarms that an attacker accepts, how many of the images in "
        "question are found.",
        field="receiver operating characteristic",
    ),
    "fpr": Term(
        "False alarms",
        "How many of 100 images that the model never saw are called trained on by mistake.",
        field="false-positive rate, FPR",
    ),
    "auroc": Term(
        "AUROC",
        "How many times in 100 the attacker picks the right one of a pair, one image in question "
        "and one unseen; 50 is guessing.",
        field="area under the ROC curve",
    ),
    "tpr1": Term(
        "TPR at 1 % FPR",
        "How many of 100 images in question are found if only 1 in 100 unseen images may be called "
        "a member by mistake; guessing finds 1.",
        field="true-positive rate at 1 % false-positive rate",
    ),
    "tpr01": Term(
        "TPR at 0.1 % FPR",
        "How many of 100 images in question are found if only 1 in 1,000 unseen images may be "
        "called a member by mistake; guessing finds 0.1.",
        field="true-positive rate at 0.1 % false-positive rate",
    ),
    "accuracy": Term(
        "Balanced accuracy",
        "How many of 100 guesses are right when half of the images are in question and half "
        "unseen, with a threshold chosen on other images; 50 is guessing.",
    ),
    "reference-models": Term(
        "Reference models",
        "Models that an attacker trains, half of them with an image and half without it, to learn "
        "how answers differ.",
        field="shadow models",
    ),
    "true-class-probability": Term(
        "true-class probability",
        "The surer the model is of the true class, the more the attacker takes the image for one "
        "it was trained on.",
    ),
    "loss": Term(
        "loss",
        "The smaller the model's error on an image, the more the attacker takes it for one it was "
        "trained on.",
        f"{_METHOD.format(3)}; Yeom et al. 2018",
    ),
    "entropy": Term(
        "entropy",
        "The surer the model is, whatever it says, the more the attacker suspects; the true class "
        "isn't used.",
    ),
    "modified-entropy": Term(
        "modified entropy",
        "As entropy, but being sure of a wrong class counts against.",
        f"{_METHOD.format(3)}; Song and Mittal 2021",
    ),
    "lira-online": Term(
        "LiRA online",
        "Compares the answer with those of reference models that were trained with this image and "
        "of others that were not.",
        f"{_METHOD.format(3)}; Carlini et al. 2022",
        "likelihood-ratio attack",
    ),
    "lira-offline": Term(
        "LiRA offline",
        "Compares the answer only with reference models that were not trained with this image.",
        f"{_METHOD.format(3)}; Carlini et al. 2022",
        "likelihood-ratio attack",
    ),
    "rmia": Term(
        "RMIA",
        "Asks how much surer the model is than reference models, and of how many unseen images it "
        "could say the same.",
        f"{_METHOD.format(3)}; Zarifzadeh et al. 2024",
        "robust membership inference attack",
    ),
    "population": Term(
        "population",
        "Ranks the image among images that the model never saw, which adds a known rate of false "
        "alarms to the true-class probability.",
    ),
}
_WHY = {
    "shapley": Term(
        "Shapley value",
        "What one memory adds to an answer, on average over all groups of memories that could have "
        "answered: the only way to share it out that treats all alike and adds up.",
        f"{_METHOD.format(6)}; Shapley 1953",
    ),
    "influence": Term(
        "Influence",
        "By how much the true class's probability would change on all test images together if this "
        "one memory were forgotten.",
        _METHOD.format(6),
        "leave-one-out influence",
    ),
    "image-pathway": Term(
        "Image alone",
        "What the network says with its memory left out: whatever it knows of a forgotten image, "
        "no deletion of keys removes.",
        _MUNKEY,
        "image pathway",
    ),
    "memory-pathway": Term(
        "Memory alone",
        "What the network says with the picture left out, from the memories that were found for "
        "it.",
        _MUNKEY,
        "memory pathway",
    ),
    "retrieval-held-fixed": Term(
        "Retrieval held fixed",
        "Who answers, and with which share, stays as it is while pixels are varied: the map is "
        "about the way from pixels to answer, not about which memories are found.",
        _METHOD.format(6),
    ),
    "log-odds": Term(
        "Log-odds",
        "A probability p on a scale that doesn't end: ln(p / (1 − p)), in nats, 0 at one half.",
        _METHOD.format(6),
    ),
    "convergence-error": Term(
        "Convergence error",
        "How far the pixels' sum is from what it should be, the whole change of the answer.",
        f"{_METHOD.format(6)}; Sundararajan et al. 2017",
    ),
    "sanity-check": Term(
        "Sanity check",
        "Replaces what the model has learned by random numbers, part by part, and looks whether "
        "the map of the pixels notices.",
        "Adebayo et al. 2018",
    ),
}
# Heading → its terms, in the order in which they are listed.
GROUPS = {
    "The memory": _MEMORY,
    "Forgetting, and what it is held against": _FORGETTING,
    "Attacks, and how well they do": _ATTACKS,
    "Why a model says something": _WHY,
}
TERMS = _MEMORY | _FORGETTING | _ATTACKS | _WHY


def plain(slug: str) -> str:
    """The sentence. Raises KeyError for a term that isn't there."""
    return TERMS[slug].plain


def term(slug: str, shown: str = "") -> str:
    """The term as Markdown. shown: how it stands in the sentence; else its name.

    >>> term("key", "keys")
    '[keys](#term-key)'
    """
    return f"[{shown or TERMS[slug].name}](#term-{_known(slug)})"


def html(slug: str, shown: str = "") -> str:
    """The term as HTML. shown: plain text, escaped here.

    >>> html("key")
    '<a href="#term-key">Key</a>'
    """
    return f'<a href="#term-{_known(slug)}">{escape(shown or TERMS[slug].name)}</a>'


def _known(slug: str) -> str:
    if slug not in TERMS:
        raise KeyError(slug)
    return slug
