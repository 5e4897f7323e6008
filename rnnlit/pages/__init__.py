"""What the pages of the book alone need: the style of figures, records of measurements, the errata."""

import sys

if sys.platform == "emscripten":  # in a browser, where NumPy counts in 32 bits
    from rnnlit.pages.live import count_with_long_integers

    count_with_long_integers()
