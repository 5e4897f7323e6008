"""What a machine can hold about the book and the package, as functions of plain data.

Each check returns what is wrong, one line per finding; an empty list means that all is well. A notebook is
its JSON, a page its text, a module its source. `tests/test_book.py` feeds them this repository,
`tests/test_book_checks.py` small bad examples.
"""
