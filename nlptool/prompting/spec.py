"""A prompted task as named in a recipe. No torch here."""

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from nlptool.prompting.config import PromptConfig
from nlptool.prompting.lm_eval_tasks import translate
from nlptool.recipe import Named, RecipeBlock, short_name
from nlptool.registry import DiscriminatedBy

PROMPTS = DiscriminatedBy("prompting")
Task = Annotated[
    PromptConfig, PROMPTS, Named(PROMPTS, "prompted-tasks", "prompted task", translate=translate)
]


class TaskSpec(RecipeBlock):
    """A prompted task that the models are evaluated on."""

    name: str = Field("", description="name in tables and folders; by default the task's own")
    task: Task = Field(
        description="a task's name, e.g. superglue/boolq, the path of its file, or the block itself"
    )
    data: str | None = Field(
        None, description="folder with a file for each split, or the file of its instances"
    )

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        block = {"task": given} if isinstance(given, str) else given
        if isinstance(block, dict) and isinstance(block.get("task"), str) and "name" not in block:
            return {"name": short_name(block["task"]), **block}
        return block

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.name:
            raise ValueError("name: a task that is written out needs one")
        return self


def several(given: Any) -> Any:
    """A single value as a list of one."""
    return given if isinstance(given, list | tuple) else (given,)


Tasks = Annotated[
    tuple[TaskSpec, ...],
    BeforeValidator(several, json_schema_input_type=str | TaskSpec | tuple[str | TaskSpec, ...]),
    Field(min_length=1, description="names, paths, or blocks with task and data"),
]
