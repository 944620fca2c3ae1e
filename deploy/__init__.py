"""A team's MLflow server: how it is started, backed up, upgraded and cleaned (docs/team-server.md).

The modules run on the server's machine, with the packages of ``deploy/requirements.txt`` and
without ner_mlflow. Each reads the environment that ``server.env`` describes.
"""

import warnings

# MLflow's own imports warn about its libraries; an error of these commands is one line.
warnings.filterwarnings("ignore", module=r"mlflow\.")
