"""This repository's own tox has the plugin from the sources: the distribution is installed in its environments only."""

from convergence_matrix_tox import plugin

tox_extend_envs, tox_add_core_config = plugin.tox_extend_envs, plugin.tox_add_core_config
