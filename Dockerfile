# The guard on what it loads of Python, and nothing else. Builds alike with docker, podman and buildah:
#   docker build --tag ghcr.io/uengine-oss/volume-guard:0.1.0 .
#   docker build --tag ghcr.io/uengine-oss/volume-guard-doctor:0.1.0 --target doctor .
# The base needs Python 3.11 or newer with venv, and ldd; from 3.15 on, imports are lazy.
ARG PYTHON=python:3.15-slim

FROM ${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY requirements/build.txt requirements/image.txt requirements/doctor.txt requirements/
# The builder's tools and what ships are two environments: nothing of the first gets into the image.
RUN python -m venv /opt/build \
 && /opt/build/bin/pip install --require-hashes --requirement requirements/build.txt \
 && python -m venv --without-pip /opt/guard \
 && /opt/build/bin/pip --python /opt/guard/bin/python install --no-compile --require-hashes --requirement requirements/image.txt \
 && /opt/build/bin/pip --python /opt/guard/bin/python install --no-compile --require-hashes --requirement requirements/doctor.txt \
    --target "/doctor$(/opt/guard/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
COPY pyproject.toml README.md LICENSE ./
COPY guard/ guard/
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && /opt/build/bin/pip --python /opt/guard/bin/python install --no-compile --no-deps --no-index dist/*.whl
COPY image/rootfs.py image/
# The root file system is read-only where this runs: bytecode is written now or never.
RUN python image/rootfs.py /guard /opt/guard \
 && PYTHONPATH=image python -c "import pathlib, rootfs; rootfs.compile_all(pathlib.Path('/doctor'))"

FROM scratch AS guard
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="volume-guard" \
      org.opencontainers.image.description="Keeps an application off the wrong, missing or wiped volume, and reports when a volume is wiped." \
      org.opencontainers.image.source="https://github.com/uengine-oss/volume-guard" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /guard /
# PYTHON_LAZY_IMPORTS: a module is loaded where it is first used (PEP 810); older Pythons ignore the variable.
# PYDANTIC_DISABLE_PLUGINS: there are none, and the search for them costs a gate a twentieth of its time.
ENV PATH=/opt/guard/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHON_LAZY_IMPORTS=all \
    PYDANTIC_DISABLE_PLUGINS=__all__
# An uncommon uid: inotify's instances are counted by uid on a node, over all its pods.
USER 29808:29808
# The home directory and the working directory of a uid without an entry in passwd.
WORKDIR /
# No VOLUME: containerd would mount an empty folder there, and hide the missing one.
ENTRYPOINT ["guard"]

# With the library that reads Kubernetes objects. The gate and the watcher have no use for it.
FROM guard AS doctor
LABEL org.opencontainers.image.title="volume-guard-doctor" \
      org.opencontainers.image.description="Finds, in Kubernetes objects, why a volume would be lost or reset."
COPY --from=build /doctor /

# The one that is built where no target is named.
FROM guard
