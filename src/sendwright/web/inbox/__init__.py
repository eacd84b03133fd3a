"""The bell: a custom element that any web page may embed, and a page to try it on.

The browser's side of the in-app inbox. It knows the inbox's calls (web/api/inbox.py) and nothing else of the product; it is plain
JavaScript without a build step, so what lies here is what is served. Whatever the API says is text, never markup.
"""
