"""Names that tests share."""

import itertools

PROVIDERS = {"oai": "oai/gpt-4.1", "ant": "ant/claude-sonnet-4-5"}
REASONERS = {"oai": "oai/gpt-5", "ant": "ant/claude-sonnet-4-5"}
FRESH = itertools.count()
ASK = [{"role": "user", "content": "Hello?"}]


def model(provider: str, scene: str, models: dict[str, str] = PROVIDERS) -> str:
    """A model of `provider` that plays `scene`."""
    return f"{models[provider]}~{scene}"


def fresh(provider: str, scene: str) -> str:
    """The same, under a name that no other test uses: the gateway rests a model that was refused or failed."""
    return f"{PROVIDERS[provider]}-{next(FRESH)}~{scene}"
