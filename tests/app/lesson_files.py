"""A lesson as a file, small and right, for tests that spoil it."""

SMALL = """\
id: small
title: A small lesson
minutes: 5
bundle: fashion
summary: One question.
hide: [menu, delete]
images:
  star: {ids: train-42395}
  best: {most: memorised, class: Trouser}
  drawn: {random: 2}
values:
  after: {what: answer, of: star, without: star}
  turns: {what: turns, of: star, without: star}
  sure: {what: sure, of: star}
steps:
  - title: First
    page: forget
    screen: {basket: $star}
    text: |
      It is {sure} sure.
  - title: Second
    text: Guess.
    question: {ask: Which one, kind: class, truth: after}
    reveal:
      screen: {basket: "", forgotten: $star}
      hide: [menu]
      text: Now it says {after}.
  - title: Third
    page: map
    screen: {query: $star, forgotten: ""}
    text: The end.
"""
