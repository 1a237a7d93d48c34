"""A study as a component of Dagster: `type: anchorlake.Study` in a project's `defs.yaml`."""

import dagster as dg

from assets.study.study import load_study
from orchestration.build import build_defs
from warehouse import Lake
from warehouse.places import bucket_url


class Study(dg.Component, dg.Model, dg.Resolvable):
    """A study, measured into a lake; paths are seen from the folder of `defs.yaml`.

    Attributes:
        study: The study file.
        lake: The lake's folder, or `s3://BUCKET/PREFIX`.
    """

    study: str
    lake: str

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Dagster's definitions, those of `build_defs`.

        Raises:
            InputError: The study cannot be used.
        """
        folder = context.path if context.path.is_dir() else context.path.parent
        study = load_study(folder / self.study)
        place = self.lake if bucket_url(self.lake) else folder / self.lake
        return build_defs(study, Lake.at(place))
