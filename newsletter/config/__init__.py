"""newsletter.yaml: read, checked, and handed on as plain frozen settings.

    schema    what may be written        problems   every mistake, with its line       load   file → Config
    project   what comes out of it       secret     passwords                          edit   feeds, where the people are
    starter   the two files of a new project           filters  include and exclude           canary  who goes first
    bounces   what comes back           feeds      one feed, and its password          intervals  how often
    keep      for how long           block      what all blocks share

The only part of the program that reads the environment.
"""

from newsletter.config.canary import canary_given
from newsletter.config.edit import (
    Added,
    NewFeed,
    add_feed,
    add_feeds,
    move_feeds,
    remove_feed,
    set_store,
    set_subscribers,
)
from newsletter.config.load import (
    CONFIG_NAME,
    STORE_VARIABLE,
    find_project,
    load_project,
    parse_project,
    store_is_given,
)
from newsletter.config.project import Config, DigestConfig, DkimConfig, SmtpConfig, is_loopback
from newsletter.config.secret import PASSWORD_VARIABLE, FeedSecret, PasswordSource, Secret
from newsletter.config.starter import starter_config, starter_people

__all__ = [
    "CONFIG_NAME",
    "PASSWORD_VARIABLE",
    "STORE_VARIABLE",
    "Added",
    "Config",
    "DigestConfig",
    "DkimConfig",
    "FeedSecret",
    "NewFeed",
    "PasswordSource",
    "Secret",
    "SmtpConfig",
    "add_feed",
    "add_feeds",
    "canary_given",
    "find_project",
    "is_loopback",
    "load_project",
    "move_feeds",
    "parse_project",
    "remove_feed",
    "set_store",
    "set_subscribers",
    "starter_config",
    "starter_people",
    "store_is_given",
]
