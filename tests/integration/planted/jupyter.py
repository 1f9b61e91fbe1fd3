"""JupyterLabs that are open to strangers, or lack what people use."""

from __future__ import annotations

from tests.integration.planting import Fault, edit, edit_python

SITE = "/opt/venv/lib/python3.11/site-packages"
SETTINGS = "/etc/jupyter/jupyter_server_config.py"

FAULTS = (
    Fault(
        name="slow start",
        check="jupyter.start",
        dockerfile=edit("/usr/local/bin/start-workspace", '/^    env.setdefault("SHELL"/i \\    time.sleep(4)'),
        says="at most 3 s",
        together="open",
    ),
    Fault(
        name="token in the address is not taken",
        check="jupyter.lets-in-with-the-token",
        dockerfile=edit_python(
            f"{SITE}/jupyter_server/auth/identity.py", 's/get_argument(.token., ..)/get_argument("tok", "")/'
        ),
        says="status 403",
        together="python",
        also=("jupyter.other-sites-may-not-use-it", "places.sites-that-were-named-may-use-it"),
    ),
    Fault(
        name="JupyterLab open without a token",
        check="jupyter.keeps-out-without-the-token[none]",
        dockerfile=f"RUN echo 'c.IdentityProvider.token = \"\"; c.ServerApp.disable_check_xsrf = True' >> {SETTINGS}",
        says="measured 200, expected 403",
        together="open",
        also=("jupyter.keeps-out-without-the-token[wrong]", "jupyter.keeps-out-without-the-token[empty]"),
    ),
    Fault(
        name="token in kernels and terminals",
        check="jupyter.runs-a-cell",
        dockerfile=f"RUN echo 'os.environ[\"JUPYTER_TOKEN\"] = token' >> {SETTINGS}",
        says="'JUPYTER_TOKEN'",
        also=("jupyter.opens-a-terminal",),
    ),
    Fault(
        name="token in the log",
        check="jupyter.shows-the-token-nowhere",
        dockerfile=f"RUN echo 'print(\"http://localhost:8888/?token=\" + token, flush=True)' >> {SETTINGS}",
        says="log",
    ),
    Fault(
        name="jupyterlab-git is off in the server",
        check="jupyter.git",
        dockerfile=edit("/opt/venv/etc/jupyter/jupyter_server_config.d/jupyterlab_git.json", "s/true/false/"),
        says="404",
    ),
    Fault(
        name="widgets open no channel",
        check="jupyter.widgets",
        dockerfile=edit_python(f"{SITE}/ipywidgets/widgets/widget.py", "$a Widget.open = lambda self: None"),
        says="no channel",
    ),
    Fault(
        name="extension of JupyterLab is off",
        check="jupyter.extensions",
        dockerfile=r"""
RUN mkdir -p /opt/venv/etc/jupyter/labconfig \
 && echo '{"disabledExtensions": {"@jupyterlab/git": true}}' > /opt/venv/etc/jupyter/labconfig/page_config.json
""",
        says="measured @jupyter-widgets/jupyterlab-manager, expected",
    ),
    Fault(
        name="every site may use it",
        check="jupyter.other-sites-may-not-use-it",
        dockerfile=f"RUN echo 'c.ServerApp.allow_origin = \"*\"' >> {SETTINGS}",
        says="api open, socket open",
        together="open",
        also=("places.sites-that-were-named-may-use-it",),
    ),
)
