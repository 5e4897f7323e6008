"""What the pages of the book alone need: the style of figures, records of measurements, the errata."""

from rnnlit.pages.live import count_with_long_integers

count_with_long_integers()  # changes nothing but where NumPy counts in 32 bits, as it does in a browser
