"""How results look: figures in one style, their data and pieces, HTML for pages.

Nothing is computed here.  Colours are Okabe and Ito's, the same quantity in the same colour
throughout the book; λ runs along a part of viridis, with λ = 0 in grey.
"""
