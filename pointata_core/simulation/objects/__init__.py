# SPDX-License-Identifier: Apache-2.0
"""What stands in a scene: furniture, plants, buildings and vehicles, made of solids."""
