"""The dashboard: pages for people, made on the server over the same functions as the API.

Here belong pages and who is signed in to them. A page decides nothing that the API does not: it asks the API's own handlers and
shows what they answer. Nothing changes on GET; whatever came from outside is text, escaped by the templates. No page is a
program: scripts and styles are files, none stands in a page, and no file comes from anywhere else.
"""
