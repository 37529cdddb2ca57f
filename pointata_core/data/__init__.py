# SPDX-License-Identifier: Apache-2.0
"""Where frames come from: messages, bags, files, data sets and the simulator."""
