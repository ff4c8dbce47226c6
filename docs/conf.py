"""The documentation: `python -m sphinx -W --keep-going -b html docs OUT`. The build uses no network."""

import re
from importlib.metadata import version as installed

from sphinx.util.nodes import make_refnode

from gammajax.datasets.hints.page import markdown

project = "gammajax"
author = "The gammajax developers"
copyright = author
version = release = installed("gammajax")

extensions = ["myst_nb", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]

# pages

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
# pages write files
nb_execution_in_temp = True
# what JAX says of the machine it runs on is no part of a page
nb_output_stderr = "remove"

# docstrings: single backticks are references where there is something of that name, and code elsewhere

default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
toc_object_entries_show_parents = "hide"
python_maximum_signature_line_length = 110

# several classes have attributes of one name, such as "bounds"
suppress_warnings = ["ref.python"]

html_theme = "pydata_sphinx_theme"
html_title = "gammajax"
html_show_sourcelink = False
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["gammajax.css"]
# pages without others below them need no list of these
html_sidebars = {page: [] for page in ("index", "architecture", "differences", "cluster", "benchmarks")}
html_theme_options = {
    "show_prev_next": False,
    "header_links_before_dropdown": 7,
    "navbar_align": "left",
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": [],
    "footer_end": [],
}


SOURCES = {"index": "README.md", "benchmarks": "benchmarks/RESULTS.md"}
"""Pages whose text stands elsewhere in the repository, where readers look for it first."""


def text_of_repository(app, docname, source):
    """Put that text before what the page has; its links start at another folder. Habits are those of the package."""
    if docname == "gammapy":
        source[0] += markdown()
    if docname in SOURCES:
        path = app.srcdir.parent / SOURCES[docname]
        text = path.read_text().replace("](docs/", "](").replace("](benchmarks/RESULTS.md)", "](benchmarks.md)")
        text = re.sub(r"\[([^]]*)\]\((?:benchmarks/)?README.md\)", r"`benchmarks/README.md`", text)
        text = text.replace("](benchmarks/)", "](benchmarks.md)")
        source[0] = text + "\n" + source[0]


SECTIONS = ("Parameters", "Raises")
ENTRY = re.compile(r"([\w*][\w, *]*?)(?: : (.*))?$")
CODE = re.compile(r"(``(?:.+?)``|`[^`]+`|\*\*[A-Z]\w+\*\*)", re.DOTALL)


def plain_text(app, what, name, obj, options, lines):
    """Docstrings are plain text, in which only backticks, bold words and two sections are markup.

    In formulas ``|x|``, ``x*`` and ``lambda_`` are no markup. Entries ``name : what it is`` go on in the next lines,
    where numpydoc and Napoleon would take the first of them for a type.
    """
    for start in [i for i, line in enumerate(lines[:-1]) if line in SECTIONS and set(lines[i + 1]) == {"-"}]:
        lines[start : start + 2] = [f":{lines[start]}:", ""]
        for i in range(start + 2, len(lines)):
            if not lines[i].strip():
                break
            entry = ENTRY.match(lines[i])
            lines[i] = f"    {lines[i]}" if entry is None else f"    ``{entry[1]}``\n        {entry[2] or ''}".rstrip()
    blocks = re.split(r"(\n\s*\n)", "\n".join(lines))
    code = False
    for i, block in enumerate(blocks):
        if i % 2:
            continue
        code = (code or (i > 1 and blocks[i - 2].endswith("::"))) and block.startswith(" ")
        if not code:
            blocks[i] = "".join(_escaped(part, k) for k, part in enumerate(CODE.split(block)))
    lines[:] = "".join(blocks).split("\n")


def _escaped(text, place):
    """Every second part is markup and stays, the others are made text without markup."""
    if place % 2:
        return text
    text = re.sub(r"([*|])", r"\\\1", text)
    text = re.sub(r"(?<=\w)_(?!\w)", r"\\_", text)
    # code has to end at the end of a word
    return text if place == 0 else re.sub(r"^(?=[\w^/(\[])", r"\\ ", text)


ARRAY = r"(?:~?jaxtyping\.)?(\w+)\[(?:\w+\.)*Array, '([^']*)'\]"
NDARRAY = r" \| (?:~?jaxtyping\.)?\w+\[(?:\w+\.)*ndarray, '[^']*'\]"
SHORTER = (
    # arrays of JAX and of NumPy are one; an array without axes is a number
    (re.compile(NDARRAY), ""),
    (re.compile(ARRAY), lambda m: f"{m[1]}['{m[2].strip()}']" if m[2].strip() else m[1].lower()),
    (re.compile(r"float \| float"), "float"),
    (re.compile(r"~?\b(?:\w+\.)*Array \| ~?(?:\w+\.)*ndarray"), "Array"),
    (re.compile(r": (?:~?typing\.)?Any = "), "="),
    (re.compile(r": (?:~?typing\.)?Any\b(?! \|)"), ""),
    (re.compile(r"Parameter\(([^()]*)\)"), r"'\1'"),
)


def short_signature(app, what, name, obj, options, signature, returns):
    """Signatures without what says nothing, defaults of parameters as numbers with units."""

    def short(text):
        for pattern, replacement in SHORTER:
            text = pattern.sub(replacement, text)
        return text

    return signature and short(signature), None if returns in (None, "None", "Any", "~typing.Any") else short(returns)


def by_last_words(app, env, node, contnode):
    """A reference by the last words of a name, ``index.read_index``, where one object has such a name."""
    if node.get("refdomain") != "py" or node.get("reftype") != "obj":
        return None
    target = node["reftarget"]
    objects = env.get_domain("py").objects
    found = [(name, entry) for name, entry in objects.items() if name.endswith(f".{target}")]
    # a class also goes by the name of its file
    if len({(entry.docname, entry.node_id) for _, entry in found}) != 1:
        return None
    name, entry = found[0]
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, contnode, name)


def setup(app):
    app.connect("source-read", text_of_repository)
    app.connect("autodoc-process-docstring", plain_text)
    app.connect("autodoc-process-signature", short_signature)
    app.connect("missing-reference", by_last_words)
    return {"parallel_read_safe": True}
