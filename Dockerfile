# The node on ROS 2 Jazzy. Built by: docker build -t pointata_ros .
ARG ROS_DISTRO=jazzy
FROM ros:${ROS_DISTRO}-ros-base

# PyTorch's default build carries CUDA: run with --gpus all. For a CPU-only image a fifth of the size, pass
# --build-arg TORCH_INDEX=URL with the index of CPU builds that pytorch.org's installation page names.
ARG TORCH_INDEX=
SHELL ["/bin/bash", "-c"]
WORKDIR /opt/pointata

RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-pip python3-venv \
    && rm -rf /var/lib/apt/lists/*

COPY package.xml requirements.txt src/pointata_ros/
RUN apt-get update \
    && rosdep update --rosdistro "${ROS_DISTRO}" \
    && rosdep install --from-paths src --ignore-src --rosdistro "${ROS_DISTRO}" --default-yes --dependency-types exec \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv --system-site-packages venv \
    && touch venv/COLCON_IGNORE \
    && venv/bin/pip install --no-cache-dir ${TORCH_INDEX:+--extra-index-url "${TORCH_INDEX}"} 'numpy<2' -r src/pointata_ros/requirements.txt

COPY . src/pointata_ros
RUN source "/opt/ros/${ROS_DISTRO}/setup.bash" \
    && source venv/bin/activate \
    && python -m colcon build

RUN printf '%s\n' '#!/bin/bash' 'set -e' \
    'source /opt/pointata/venv/bin/activate' \
    'source /opt/pointata/install/setup.bash' \
    'exec "$@"' > /entrypoint.sh \
    && chmod +x /entrypoint.sh
ENTRYPOINT ["/entrypoint.sh"]
CMD ["ros2", "launch", "pointata_ros", "perception.launch.py"]
