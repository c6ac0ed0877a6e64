#!/bin/sh
# Makes the bundled profiles anew from libcpuid's test dumps (README.md):
#     data/profiles/regenerate.sh path/to/cpulevel path/to/libcpuid/tests
set -eu
cpulevel=$1
tests=$2
here=$(dirname "$0")

import_one() {
    "$cpulevel" import "$tests/$2" --name "$1" -o "$here/$1.json"
}

import_one westmere     intel/x86-64/nehalem/intel-core-i7-cpu-x-980.test
import_one haswell      intel/x86-64/haswell/intel-core-i7-4770-cpu.test
import_one skylake-x    intel/x86-64/skylake/intel-core-i9-7900x-cpu.test
import_one ice-lake     intel/x86-64/sunny-cove/intel-core-i7-1065g7-cpu.test
import_one gemini-lake  intel/x86-atom/goldmont-plus/intel-celeron-j4105-cpu.test
import_one alder-lake-n intel/x86-atom/gracemont/intel-n95.test
import_one zen2         amd/zen2/amd-ryzen-9-3950x-16-core-processor.test
import_one zen4         amd/zen4/amd-ryzen-9-7900x3d-12-core-processor.test
