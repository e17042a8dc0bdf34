def render(f): return ""
def write_page(f, p): pass
