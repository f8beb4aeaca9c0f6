"""What a running system pays for. The estimate has a line for each, and a plan that lacks one is told so."""

from __future__ import annotations

COMPONENTS = {
    "processing": "building features",
    "selection": "selection of 250 from 2,640 candidates",
    "training": "training",
    "tuning": "search of parameters",
    "endpoint": "serving",
    "overlap": "blue/green overlap and A/B variants",
    "gateway": "gateway requests",
    "function-requests": "function requests",
    "function-time": "function time",
    "object-storage": "object storage",
    "object-requests": "object requests",
    "capture": "capture of answers",
    "logs": "logs",
    "metrics": "metrics",
    "dashboards": "dashboards",
    "notices": "notices",
    "monitors": "monitors",
    "database": "database: capacity, storage, input and output",
    "replica": "read replica",
    "cache": "cache",
    "network": "NAT gateway and private endpoints",
    "transfer": "data transfer",
    "images": "image registry",
    "vault": "secrets",
    "keys": "encryption keys",
    "workflow": "workflow steps",
    "studio": "notebooks of people",
    "support": "support",
    "tax": "tax",
    "environments": "development and staging",
    "contingency": "contingency",
}
"""Name -> words."""
