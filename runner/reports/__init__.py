"""One result, shown: terminal, CSV, JSON, Markdown, JUnit, notebook, badge, annotations, site; each from it alone."""
