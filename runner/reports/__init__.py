"""One result, shown: terminal, CSV, JSON, Markdown, JUnit, notebook, badge, annotations and site, each from it alone."""
