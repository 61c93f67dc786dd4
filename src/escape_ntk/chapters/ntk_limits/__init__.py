"""NTK limits: what no kernel can learn."""
