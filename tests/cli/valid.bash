# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0

# valid SCHEMA FILE: each line of the file is a document as the schema has it
valid() {
	python3 - "$BATS_TEST_DIRNAME/../schema/$1" "$2" <<-'END'
		import json, sys, jsonschema
		schema, lines = json.load(open(sys.argv[1])), open(sys.argv[2]).readlines()
		assert lines
		[jsonschema.validate(json.loads(line), schema) for line in lines]
	END
}
