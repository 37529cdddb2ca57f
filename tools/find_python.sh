#!/usr/bin/env bash
# Print the Python interpreter to build the environment with: the first of $PYTHON, 3.11, 3.12 and
# python3 that has what is needed; otherwise say what each lacks.
set -u

report=''
for candidate in ${PYTHON:-python3.11 python3.12 python3 /usr/bin/python3.11 /usr/bin/python3.12 /usr/bin/python3}; do
    problem=$("$candidate" - 2>&1 <<'PYTHON'
import importlib.util, os, sys, sysconfig
version = '%d.%d' % sys.version_info[:2]
lacks = []
if version not in ('3.11', '3.12'):
    lacks.append('is Python %s, not 3.11 or 3.12' % version)
if importlib.util.find_spec('ensurepip') is None:
    lacks.append('lacks ensurepip (apt install python%s-venv)' % version)
if not os.path.isfile(os.path.join(sysconfig.get_paths()['include'], 'Python.h')):
    lacks.append('lacks Python.h (apt install python%s-dev)' % version)
if os.environ.get('ROS_DISTRO') and importlib.util.find_spec('rclpy') is None:
    lacks.append('cannot import rclpy of ROS 2 ' + os.environ['ROS_DISTRO'])
print(', '.join(lacks))
PYTHON
    ) || problem='cannot be run'
    if [ -z "$problem" ]; then
        command -v "$candidate"
        exit 0
    fi
    report+="  $candidate $problem"$'\n'
done
printf 'error: no suitable Python found. Install Python 3.11 or 3.12 with venv and headers, or name one: make env PYTHON=...\n%s' "$report" >&2
exit 1
