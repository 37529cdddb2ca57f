#!/usr/bin/env bash
# link_package.sh PREFIX: what an editable install leaves out, as links into the source tree, so that ROS
# tools find the package under PREFIX.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
prefix=$1

mkdir -p "$prefix/lib" "$prefix/share/pointata_ros" "$prefix/share/ament_index/resource_index/packages"
for shared in config models package.xml; do
    ln -sfn "$PWD/$shared" "$prefix/share/pointata_ros/$shared"
done
# `ros2 launch PACKAGE FILE` searches the folders under share/, but not linked ones.
rm -rf "$prefix/share/pointata_ros/launch"
mkdir "$prefix/share/pointata_ros/launch"
ln -sr launch/*.py "$prefix/share/pointata_ros/launch/"
ln -sfn "$PWD/scripts" "$prefix/lib/pointata_ros"
ln -sfn "$PWD/resource/pointata_ros" "$prefix/share/ament_index/resource_index/packages/pointata_ros"
