"""How results look: figures in one style, their data and pieces, HTML for pages."""
