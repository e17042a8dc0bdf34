"""Every route held against its pinned baseline: score blocks and decisions in, readings and changes out."""
