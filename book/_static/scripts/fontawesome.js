/* In the place of the theme's file of this name, 1.5 MB that draw every icon there is: the style
   sheet of the theme draws those few that a page has. */
