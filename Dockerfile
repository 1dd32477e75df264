# One image for the server and the workers of a team; docs/team.md tells what each of them does.
FROM python:3.11-slim AS build
WORKDIR /opt/idxflow
COPY requirements.lock pyproject.toml ./
# As `make install` does it: uv comes from the lock, and it refuses what the lock has no hash of. The tools of tests and
# lint stay out; what a remote, sweeps and their workers need is in.
RUN sed -n '/^uv==/,/# via/p' requirements.lock > /tmp/uv.lock \
 && python -m venv /opt/uv \
 && /opt/uv/bin/pip install --no-cache-dir --require-hashes --requirement /tmp/uv.lock \
 && python -m venv --without-pip /opt/venv \
 && /opt/uv/bin/uv pip install --no-cache --compile-bytecode --python /opt/venv/bin/python \
    --require-hashes --requirement pyproject.toml --extra remote --extra tune --constraint requirements.lock
COPY . .
RUN /opt/uv/bin/uv pip install --no-cache --python /opt/venv/bin/python --no-deps \
    --build-constraint requirements.lock --editable . \
 && /opt/venv/bin/python -m compileall -q idxflow flows tasks artifacts schemas

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 idxflow \
 && install --directory --owner idxflow --group idxflow /var/lib/idxflow
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/idxflow /opt/idxflow
ENV PATH=/opt/venv/bin:$PATH \
    IDXFLOW_HOME=/var/lib/idxflow \
    PREFECT_SERVER_ANALYTICS_ENABLED=false \
    DO_NOT_TRACK=1 \
    HEALTH_ADDRESS=http://127.0.0.1:8080/health
WORKDIR /opt/idxflow
USER 10001
VOLUME /var/lib/idxflow
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
  CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(os.environ['HEALTH_ADDRESS'], timeout=5)"]
CMD ["prefect", "worker", "start", "--pool", "idxflow", "--with-healthcheck"]
