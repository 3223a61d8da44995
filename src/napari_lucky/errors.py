"""The errors that are meant for the person in front of the screen."""

from napari_lucky.text import readable


class LuckyError(ValueError):
    """Something the user gave cannot be used.

    Its message is a whole sentence: which file or parameter, what was found, what was
    expected, what to do. The docks and the command line show it as it is, without a traceback.
    """

    def __str__(self) -> str:
        return readable(super().__str__())


class NoStarError(LuckyError):
    """There is no star in the run, or none that stands out of the noise."""
