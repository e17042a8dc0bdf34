"""Every sentence that people read, in one place: pages, messages, command line and timelines ask here. Pure.

Specs give the nouns, this room composes the sentences: what happened to whom first, then how sure, then what to do.
Statistics stand in `details` alone.
"""
