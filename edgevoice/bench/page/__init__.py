"""Results as one page for a browser: no script, no request, light and dark, wide and narrow."""
