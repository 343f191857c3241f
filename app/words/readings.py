"""How to read each chart: what its axes are, what to look for, what it doesn't say.

One entry a chart, shown by ``shared/sections.py`` under the same words everywhere. What changes
with the data (numbers, sizes, seeds) stands in the captions of the charts themselves.
"""

from dataclasses import dataclass

from app.words.glossary import term


@dataclass(frozen=True)
class Reading:
    """Three parts, each a sentence or two of Markdown."""

    shows: str
    look_for: str
    does_not_say: str


READINGS = {
    "prediction": Reading(
        "A bar for each class is the probability that the model gives it, from 0 to 100 %, a "
        f"colour for each model; below, whose memories answered ({term('key', 'keys')} that were "
        "found) and with which share.",
        "Does the longest bar change its class when the image's own key is gone? Is the orange bar "
        "as long as the green one, that of a model which never saw the image?",
        "A bar that stays long is no failure: a model that never saw the image may recognise it, "
        "too. And a probability is not how often the model is right.",
    ),
    "map": Reading(
        "Each point is the memory of one training image, laid on a plane by "
        f"{term('umap')} or {term('pca')}; there are no axes, and the colour is what the list "
        "above it says.",
        "Groups of one colour, and points that lie in a group of another one. A star is the image "
        "that is asked about; lines lead to the memories that answer for it, thicker for a larger "
        "share.",
        "How far apart groups lie means nothing, nor how large they are: only near neighbours are "
        "kept near. By keyboard: the arrow keys go from point to point, Space picks; or narrow the "
        "map down by the lists above and press *Pick all shown*, which a lasso can do no better.",
    ),
    "shapley": Reading(
        "From the image alone to the answer: a bar is what one memory adds to the probability of "
        f"the class, in percentage points ({term('shapley', 'exact Shapley values')}); magenta "
        "speaks for the class, olive against it, on one scale in both charts.",
        "Does the image's own memory make the answer, and who takes over when it is gone? The bars "
        "add up to the difference between the first and the last line.",
        "A memory with hardly any share can have a long bar: in groups without "
        f"{term('null-anchor', '∅')} it answers nearly alone, and the bar of ∅ takes that back. "
        "It says who answered, not who is right.",
    ),
    "pixels": Reading(
        "Each pixel's colour says how strongly it speaks for the class, magenta, or against it, "
        "olive; all pictures have one scale. What the method does stands beside it.",
        "What the colours lie on: the thing itself, its edge, or the empty ground? Are they "
        "stronger after the deletion, when the model has to look by itself?",
        f"The way from pixels to answer only ({term('retrieval-held-fixed')}), and no proof: "
        f"another method may colour other pixels. The {term('sanity-check')} below tells whether "
        "this one looks at what the model has learned at all.",
    ),
    "sanity": Reading(
        "From left to right more and more of the model is replaced by random numbers, from the "
        "answer back to the picture; each map has a scale of its own. *Likeness* is the rank "
        "correlation (Spearman's ρ) of the pixels' importance with that in the first map.",
        "Does the likeness fall towards 0? Then the map depends on what the model has learned.",
        "A map that passes need not be right; one that doesn't pass shows the picture more than "
        "the model.",
    ),
    "influence": Reading(
        "The key of this image alone is taken out of the whole memory, and every test image is "
        f"asked again: computed, not estimated ({term('influence')}). Points are the change in the "
        "probability of the true class.",
        "How many others lean on this memory, and whether any of them gets another answer.",
        "Other deletions of this session are left out of it, and so is what changes for the image "
        "itself, which stands at the top.",
    ),
    "pathways": Reading(
        "A dot is the share of images put into the right class, from 0 to 100 %, the line its "
        f"{term('interval')} (Wilson); hollow: before the deletion, dotted: guessing. *Image and "
        f"memory* is how the model answers; {term('image-pathway')} leaves the memory out, "
        f"{term('memory-pathway')} the picture.",
        "In *image alone*, is the forget set further right than the test images? Then the network "
        "itself still knows something of it.",
        "Part of such a difference may be that these images are easier. The sets are forgotten "
        "from the whole memory, whatever this session has deleted.",
    ),
    "histogram": Reading(
        "Across: the score by which the attacker goes, the further right the surer that the image "
        "was trained on. Up: the share of images with that score. Filled: the images in question; "
        f"violet outline: {term('test-images')}.",
        "Before deletion the filled part may lie further right than the outline. Forgotten images "
        "should lie as the outline does, and as they do in the green panel.",
        "Where most images lie says little about the few that give themselves away; for those, "
        "look at the left end of the ROC curve.",
    ),
    "roc": Reading(
        f"Across: {term('fpr', 'false alarms')}, unseen images that the attacker takes for trained "
        "on. Up: how many of the images in question are found. Both axes are logarithmic; the "
        "dotted line is guessing.",
        "The left end matters most: images that an attacker can name with hardly a false alarm. "
        "The orange curve should run along the dotted line, or along the green one.",
        "A curve on the dotted line rules out this attack, not every attack. At the far left a "
        "curve rests on very few images.",
    ),
    "gap-by-method": Reading(
        f"Across: how far a method is from its retrained twin ({term('avg-gap')}), in points, with "
        f"its {term('interval')}. The grey band is the {term('null-band')}, what honest "
        "retrainings differ by among themselves.",
        "Which methods reach the band? Inside it nobody is better than anybody else.",
        "Nothing about single images: four averages can agree where answers do not. An interval "
        "over images is not a spread over trainings.",
    ),
    "gap-by-time": Reading(
        f"Up: {term('avg-gap')}, the distance from the retrained twin, in points. Across: the time "
        "it takes to forget, on a logarithmic axis: each line is ten times the one before.",
        "Down and to the left is better: close to retraining, and fast. Inside the grey band lower "
        "is not better.",
        "The time is that of one machine. It leaves out what a method cost before: a memory has to "
        "be trained as well.",
    ),
    "recipes": Reading(
        "A mark is one way to train the model. Up: how many of 100 test images it gets right. "
        f"Across: its {term('backbone-leak')} in points, with the {term('interval')}; the star is "
        "the recipe that was shipped.",
        "Is there a mark higher up and no further right than the star? Differences smaller than "
        "the bars mean nothing.",
        "A leak at 0 does not prove that nothing stays: it is what this measurement can tell.",
    ),
    "trace": Reading(
        "One column for each memory, one line for each question; figures with their "
        f"{term('interval')}. Points: the {term('backbone-leak')}, how much more often the network "
        "alone is right on these images than one that never saw them.",
        f"In the {term('joint', 'joint')} mode, whether the leak can be told from zero; in the "
        f"{term('exact', 'exact')} mode, what it costs: accuracy bounded by what public images "
        "teach.",
        "Nothing about the public images: in both modes they can't be forgotten.",
    ),
}
