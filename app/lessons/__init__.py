"""Lessons: files that lead a person over the app's pages, with a question before each answer."""
