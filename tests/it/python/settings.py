"""What Prefect makes of settings: reads cases (JSON) from stdin, prints its settings of each."""

import json
import os
import pathlib
import sys
import tempfile

from prefect.settings import sources
from prefect.settings.models.root import Settings

clean = {k: v for k, v in os.environ.items() if not k.upper().startswith("PREFECT_")}
answers = []
for case in json.load(sys.stdin):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in case["files"].items():
            pathlib.Path(folder, name).write_text(text)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(clean, PREFECT_PROFILES_PATH=str(pathlib.Path(folder, "profiles.toml")), **case["env"])
        sources._file_cache.clear()
        try:
            found = Settings()
        except Exception as error:
            answers.append({"error": type(error).__name__})
        else:
            secret = lambda s: s.get_secret_value() if s else None
            answers.append(
                {
                    "url": found.api.url,
                    "key": secret(found.api.key),
                    "auth": secret(found.api.auth_string),
                    "insecure": found.api.tls_insecure_skip_verify,
                    "http2": found.api.enable_http2,
                    "timeout": found.api.request_timeout,
                    "retries": found.client.max_retries,
                    "codes": sorted(found.client.retry_extra_codes),
                    "csrf": found.client.csrf_support_enabled,
                    "headers": found.client.custom_headers,
                    "pool": found.deployments.default_work_pool_name,
                    "namespace": found.deployments.default_docker_build_namespace,
                    "ui": found.ui_url,
                    "cloud": found.cloud.api_url,
                }
            )
        os.chdir("/")
print(json.dumps(answers))
