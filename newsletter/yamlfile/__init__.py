"""YAML files that belong to a person: read strictly, edited without disturbing a comment.

read     nodes with lines; what surprises in YAML is refused      explain   a parser's complaint, in words
values   what a scalar means, near misses, language tags          write     a value as a person would write it
edit     items in or out, proved to change nothing else           replace   lock, write, compare, rename
entries  many entries changed, each within its own text           pairs     the keys of one mapping
scalars  single texts, replaced in place
locate   where the items of a list stand                          lines     where lines begin and end
"""

from newsletter.yamlfile.entries import Change
from newsletter.yamlfile.nodes import Broken, ListNode, MapNode, Node, Scalar, Tree
from newsletter.yamlfile.read import (
    Problems,
    forbidden_character,
    open_file,
    parse_items,
    parse_tree,
    read_items,
    read_tree,
    shown_path,
)
from newsletter.yamlfile.replace import EditedText, append_item, editing, flush_folder, holding, remove_item
from newsletter.yamlfile.usual import usual_items
from newsletter.yamlfile.values import Unclear, did_you_mean, language_tag, meaning, nearest, not_text, time_zone
from newsletter.yamlfile.write import Data, block_item, flow, scalar

__all__ = [
    "Broken",
    "Change",
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
    "flush_folder",
    "forbidden_character",
    "holding",
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
    "time_zone",
    "usual_items",
]
