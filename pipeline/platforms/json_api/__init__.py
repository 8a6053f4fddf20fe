"""Any endpoint that answers GET with JSON, described by YAML alone: the platform `json_api` and its presets.

    expressions   JMESPath, checked when a source is loaded, and ${placeholders}
    paging        how pages follow each other
    description   the keys of the YAML
    adapter       what they mean: the platform `json_api`
    preset        a description that is shipped, with parameters in the place of an account's own values

The expressions of a description read stored history too: who changes them changes how a rebuild
reads captures that lie in the lake already. The bytes stay as they are.
"""
