"""Tells a person what went wrong: runs that failed, and checks of the landing that fail.

Off until the environment says where to: addresses of webhooks are secrets, and so belong to no
file of the project. The sensors look while Dagster's daemon runs.

::

    MLOPS_ALERT_WEBHOOK   an address that takes JSON by POST: a workflow of Microsoft Teams gets an
                          Adaptive Card, every other (Slack, Mattermost ...) an object with ``text``
    MLOPS_ALERT_EMAIL     addresses, separated by commas
    MLOPS_ALERT_SMTP      smtp://HOST:PORT, or smtps://USER:PASSWORD@HOST:PORT
    MLOPS_ALERT_LINK      where people open Dagster's UI, such as https://dagster.example.org
"""

from __future__ import annotations

from mlops_dagster.defs.alerts.sensors import alert_sensors

__all__ = ["alert_sensors"]
