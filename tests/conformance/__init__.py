"""Does the running stack do what its OpenAPI document says? Schemathesis asks it.

    python -m tests.conformance [--examples 60] [--seed 1]

A front door under gunicorn, Valkey, SeaweedFS and a worker whose model sleeps, so that jobs
end. All of Schemathesis's checks and phases; a schema-valid body that means nothing here
(an unknown label set, a bucket nobody may read) is rightly answered by 422.
"""
