#!/usr/bin/env bash
# Create or update the environment in .venv: the package in editable mode, its dependencies, ROS 2 and
# the ROS interfaces that PyPI lacks. Does nothing, quickly, when nothing that matters has changed.
#
# On a ROS installation (`source /opt/ros/jazzy/setup.bash` before `make env`) that ROS is used and
# nothing of it is installed again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=$PWD/.venv
stamp=$venv/.made_from
inputs=(requirements*.txt setup.py setup.cfg pyproject.toml interfaces/*/package.xml interfaces/*/*/*.* tools/{make_env.sh,find_python.sh,link_package.sh,build_interfaces.py})
wanted="$(sha256sum "${inputs[@]}" | sha256sum | cut -d' ' -f1) ${ROS_DISTRO:-pypi} $PWD"
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && [ -x "$venv/bin/python" ]; then
    exit 0
fi
rm -f "$stamp"

say() { printf '\033[1m%s\033[0m\n' "make env: $*"; }
# The environment's own Python must not see the settings of another one.
unset PYTHONHOME _ROS_WHEELS_BOOTSTRAP_COMPLETE

# An environment sees the system's packages if and only if it stands on the system's ROS.
kind="include-system-site-packages = $([ -n "${ROS_DISTRO:-}" ] && echo true || echo false)"
if ! grep -qs "$kind" "$venv/pyvenv.cfg" || ! "$venv/bin/python" -m pip --version > /dev/null 2>&1; then
    command -v "${CXX:-c++}" > /dev/null || { echo 'error: no C++ compiler: apt install g++' >&2; exit 1; }
    python=$(tools/find_python.sh)
    say "creating .venv with $("$python" --version) ($python)"
    rm -rf "$venv"
    "$python" -m venv ${ROS_DISTRO:+--system-site-packages} "$venv"
fi

install() { "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }
say 'installing dependencies (the first time this takes some minutes)'
if [ -n "${ROS_DISTRO:-}" ]; then
    say "using ROS 2 $ROS_DISTRO at ${AMENT_PREFIX_PATH:-(AMENT_PREFIX_PATH is not set)}"
    # Its message packages are compiled for the distribution's NumPy, which is 1.26 on Ubuntu 24.04.
    numpy=$("$venv/bin/python" -c 'import numpy; print(numpy.__version__.split(".")[0])')
    install 'setuptools>=77.0.3,<80'
    install --no-build-isolation "numpy<$((numpy + 1))" --editable '.[train,test,lint,docs]'
else
    install -r requirements-dev.txt -r requirements-ros.txt
    install --no-build-isolation --no-deps --editable .
fi

site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
if [ -z "${ROS_DISTRO:-}" ]; then
    # So that .venv/bin/python finds its ROS without anything being activated or sourced; what the
    # caller has set wins. Discovery stays on this machine: a demo should not join a robot's network.
    cat > "$site/pointata_ros_environment.pth" <<'PTH'
import os, sys; os.environ.setdefault('AMENT_PREFIX_PATH', sys.prefix); os.environ.setdefault('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp'); os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
PTH
fi
"$venv/bin/python" tools/build_interfaces.py interfaces/*/

tools/link_package.sh "$venv"

echo "$wanted" > "$stamp"
say 'done: try `make demo`, or .venv/bin/pointata --help'
