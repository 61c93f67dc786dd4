"""The chapters of the book, one folder each."""
