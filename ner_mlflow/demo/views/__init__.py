"""The pages of the showcase.

Streamlit runs each file as a script, so these files import by absolute names, and show their page
only where they are run. Their constants are described in comments, because Streamlit shows texts
that stand alone.
"""
