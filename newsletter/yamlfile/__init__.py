"""YAML files that belong to a person: read strictly, edited without disturbing a comment.

read     nodes with lines; what surprises in YAML is refused      explain   a parser's complaint, in words
values   what a scalar means, near misses, language tags          write     a value as a person would write it
edit     one item in or out, proved to change nothing else        replace   lock, write, compare, rename
"""

from newsletter.yamlfile.nodes import Broken, ListNode, MapNode, Node, Scalar, Tree
from newsletter.yamlfile.read import (
    Problems,
    open_file,
    parse_items,
    parse_tree,
    read_items,
    read_tree,
    shown_path,
)
from newsletter.yamlfile.replace import EditedText, append_item, editing, remove_item
from newsletter.yamlfile.values import Unclear, did_you_mean, language_tag, meaning, nearest, not_text
from newsletter.yamlfile.write import Data, block_item, flow, scalar

__all__ = [
    "Broken",
    "Data",
    "EditedText",
    "ListNode",
    "MapNode",
    "Node",
    "Problems",
    "Scalar",
    "Tree",
    "Unclear",
    "append_item",
    "block_item",
    "did_you_mean",
    "editing",
    "flow",
    "language_tag",
    "meaning",
    "nearest",
    "not_text",
    "open_file",
    "parse_items",
    "parse_tree",
    "read_items",
    "read_tree",
    "remove_item",
    "scalar",
    "shown_path",
]
