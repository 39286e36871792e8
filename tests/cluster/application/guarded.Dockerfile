# An application that brings the guard with it: `guard check -- APP` then judges the application's own mounts.
ARG GUARD
ARG APPLICATION
FROM ${GUARD} AS guard
FROM ${APPLICATION}
COPY --from=guard /opt/guard /opt/guard
ENV PATH=/opt/guard/bin:${PATH} PYTHON_LAZY_IMPORTS=all
ENTRYPOINT ["guard", "check", "--", "python", "/app/skills.py", "serve"]
CMD []
