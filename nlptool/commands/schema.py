"""`nlptool schema`: the JSON schema of a command's recipe.

An editor that speaks YAML completes and checks a recipe whose first line names the schema's file:

    # yaml-language-server: $schema=pretrain-mlm.json
"""

from nlptool.console import Console
from nlptool.recipe import Block


def run(command: str, recipe: type[Block], console: Console) -> None:
    """Print the schema of `command`'s recipe."""
    schema = recipe.model_json_schema()
    schema["properties"] = {
        key: field for key, field in schema["properties"].items() if field.get("only", command) == command
    }
    console.json(
        {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": f"nlptool {command}"}
    )
