"""Certificates and keys as people have them: what a file holds, whatever wrote it, and the command that helps where it is something else.

One reader for the whole product, so that every command says the same of the same file: text.py undoes what editors, shells and headers do
to a PEM text, kinds.py is the table of what there is, read.py puts both together.
"""
