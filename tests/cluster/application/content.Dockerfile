# An image that is nothing but content, for image volumes.
FROM scratch
COPY skills.py /skill/SKILL.md
